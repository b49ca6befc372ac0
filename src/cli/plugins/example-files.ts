/** The examples inside the executable, as the files of a new plugin. */

import examplesPath from "../../../dist/examples.plugins" with { type: "file" };

/** The languages that a plugin can be begun in, each with its example. */
export const languages = {
  typescript: { runtime: "bun", example: "bun-echo" },
  python: { runtime: "exec", example: "python-echo" },
  sh: { runtime: "exec", example: "shell-echo" },
} as const;

export type Language = keyof typeof languages;

const sdkFile = "conductor-plugin.ts";

/** Lets an editor and `bun test` find "conductor/plugin" without a package; the conductor brings its own. */
const tsconfig = `{
  "compilerOptions": {
    "target": "esnext",
    "module": "preserve",
    "lib": ["esnext", "dom"],
    "types": [],
    "strict": true,
    "noEmit": true,
    "allowImportingTsExtensions": true,
    "paths": { "conductor/plugin": ["./${sdkFile}"] }
  },
  "include": ["*.ts"],
  "exclude": ["*.test.ts"]
}
`;

/** The files of a new plugin called `name`, by path, as text; scripts begin with "#!". */
export async function filesOfNew(name: string, language: Language): Promise<Record<string, string>> {
  const all = (await Bun.file(examplesPath).json()) as Record<string, string>;
  const { example, runtime } = languages[language];
  const files: Record<string, string> = {};
  for (const [path, text] of Object.entries(all))
    if (path.startsWith(`${example}/`))
      files[path.slice(example.length + 1)] = text.replaceAll(example, () => name);
  if (runtime === "bun") {
    files[sdkFile] = all[sdkFile] ?? "";
    files["tsconfig.json"] = tsconfig;
  }
  return files;
}
