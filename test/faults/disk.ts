import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { codeOf } from "../../src/errors.ts";
import { temporaryFolder } from "../database.ts";

/** Room for a database, and little more. */
const SIZE_MB = 16;
const BALLAST_BYTES = 4096;

/** A file system of its own that can go wrong. Mounting it needs root. */
export class Disk implements Disposable {
  /** A folder on it. */
  readonly path: string;
  readonly #mountPoint: string;
  /** The file that holds an ext4; undefined: it is in memory. */
  readonly #image: string | undefined;
  readonly #open: DisposableStack;

  /** @throws Error with one line that says what is needed */
  constructor(kind: "tmpfs" | "ext4") {
    using opening = new DisposableStack();
    const folder = opening.use(temporaryFolder()).path;
    this.#mountPoint = join(folder, "disk");
    this.path = join(this.#mountPoint, "data");
    mkdirSync(this.#mountPoint);
    if (kind === "ext4") {
      this.#image = join(folder, "image");
      run("truncate", "--size", `${SIZE_MB}M`, this.#image);
      run("mkfs.ext4", "-q", this.#image);
    }
    this.#mount();
    opening.defer(() => run("umount", "--lazy", this.#mountPoint));
    mkdirSync(this.path);
    this.#open = opening.move();
  }

  /** Leaves no byte free. */
  fill(): void {
    const file = openSync(this.#ballast, "w");
    try {
      for (;;) writeSync(file, Buffer.alloc(BALLAST_BYTES));
    } catch (error) {
      if (codeOf(error) !== "ENOSPC") throw error;
    } finally {
      closeSync(file);
    }
  }

  /** Frees what `fill` took. */
  empty(): void {
    rmSync(this.#ballast);
  }

  /**
   * Refuses every write to the files that are there, also to those that are open. A file system
   * with open files cannot be remounted read-only, so their flag "immutable" stands in for that.
   */
  refuse(): void {
    run("chattr", "+i", ...this.#files());
  }

  /** Takes writes again. */
  accept(): void {
    run("chattr", "-i", ...this.#files());
  }

  /** Meets an error, whereupon Linux makes it read-only (`errors=remount-ro`). */
  async break(): Promise<void> {
    const device = run("findmnt", "--noheadings", "--output", "SOURCE", this.#mountPoint).trim();
    await writeFile(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, "1");
  }

  /** What an administrator does about it, once nobody uses it. */
  repair(): void {
    run("umount", this.#mountPoint);
    // Exit code 1: errors were corrected.
    Bun.spawnSync(["e2fsck", "-fy", String(this.#image)]);
    this.#mount();
  }

  get #ballast(): string {
    return join(this.#mountPoint, "ballast");
  }

  /** All but SQLite's shared memory: its pages are mapped, and stay writable when a disk is not. */
  #files(): string[] {
    const names = readdirSync(this.path).filter((name) => !name.endsWith("-shm"));
    return names.map((name) => join(this.path, name));
  }

  #mount(): void {
    if (this.#image) run("mount", "-o", "loop,errors=remount-ro", this.#image, this.#mountPoint);
    else run("mount", "-t", "tmpfs", "-o", `size=${SIZE_MB}m`, "parley", this.#mountPoint);
  }

  [Symbol.dispose](): void {
    this.#open.dispose();
  }
}

function run(...command: [string, ...string[]]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command);
  if (exitCode === 0) return stdout.toString();
  const why = stderr.toString().trim().split("\n")[0];
  throw new Error(`A disk that fails is mounted by root (CAP_SYS_ADMIN): ${command[0]}: ${why}`);
}
