/** Which Landlock came with which Linux, and what an older one leaves open. */

/** The first ABI that holds TCP ports. */
export const landlockTcp = { abi: 4, linux: "6.7" } as const;
/** The Linux whose Landlock leaves none of the gaps below. */
export const landlockFull = "6.12";

const truncateAbi = 3;
const scopesAbi = 6;

/** What this ABI (1 or more) leaves open of what is asked of it, for a person; null when nothing. */
export function landlockGap(abi: number): string | null {
  const gaps = [
    ...(abi < truncateAbi ? ["a file outside can still be emptied where its owner lets it (Linux 6.2)"] : []),
    ...(abi < scopesAbi
      ? [
          "processes of the same user can still be signalled and abstract unix sockets connected to (Linux 6.12)",
        ]
      : []),
  ];
  return gaps.length > 0 ? `with Landlock ABI ${abi} ${gaps.join(", and ")}` : null;
}
