/** What the machine is made of: read once, when somebody asks. */

export interface Inventory {
  os: string;
  cpu: string;
  cores: number;
  memoryBytes: number;
  disks: { mount: string; sizeBytes: number; fileSystem: string }[];
}

/** Asks systeminformation, which is loaded only here; takes some milliseconds and memory. */
export async function inventory(): Promise<Inventory> {
  const { cpu, fsSize, mem, osInfo } = await import("systeminformation");
  const [system, processor, memory, disks] = await Promise.all([osInfo(), cpu(), mem(), fsSize()]);
  return {
    os: `${system.distro} ${system.release} (${system.kernel})`,
    cpu: `${processor.manufacturer} ${processor.brand}`.trim(),
    cores: processor.cores,
    memoryBytes: memory.total,
    disks: disks.map(({ mount, size, type }) => ({ mount, sizeBytes: size, fileSystem: type })),
  };
}
