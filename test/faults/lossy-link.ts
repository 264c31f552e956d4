import { dlopen, ptr } from "bun:ffi";
import { openSync, read, writeSync } from "node:fs";

// A network between this machine and a network namespace: packets are late and get lost. Linux has
// a queueing discipline for that (netem), but kernels of small virtual machines lack it. So this
// process carries each packet from one TUN device to another. Both devices end with it.
//
// Arguments: the namespace, an address on this side, one on the other. Each line of stdin sets the
// loss, from 0 to 1, and the delay in ms, of each direction; each is answered by a line.

const TUNSETIFF = 0x400454ca;
const IFF_TUN = 0x0001;
/** Without a header before each packet. */
const IFF_NO_PI = 0x1000;
const IFREQ_BYTES = 40;
const LONGEST_PACKET_BYTES = 65_536;

const [namespace = "", near = "", far = ""] = process.argv.slice(2);
const link = { loss: 0, delayMs: 0 };
const devices = [`near${process.pid}`, `far${process.pid}`] as const;
const [nearFd, farFd] = [openTun(devices[0]), openTun(devices[1])];
run(`ip addr add ${near}/30 dev ${devices[0]}`);
run(`ip link set ${devices[0]} up`);
run(`ip link set ${devices[1]} netns ${namespace}`);
run(`ip -n ${namespace} addr add ${far}/30 dev ${devices[1]}`);
run(`ip -n ${namespace} link set ${devices[1]} up`);
run(`ip -n ${namespace} link set lo up`);
carry(nearFd, farFd);
carry(farFd, nearFd);
console.log("up");
for await (const line of console) {
  const [loss = 0, delayMs = 0] = line.split(" ").map(Number);
  Object.assign(link, { loss, delayMs });
  console.log("set");
}

function openTun(name: string): number {
  const fd = openSync("/dev/net/tun", "r+");
  const request = Buffer.alloc(IFREQ_BYTES);
  request.write(name);
  request.writeUInt16LE(IFF_TUN | IFF_NO_PI, 16);
  const libc = dlopen("libc.so.6", { ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" } });
  const result = libc.symbols.ioctl(fd, TUNSETIFF, ptr(request));
  if (result !== 0) throw new Error(`the TUN device ${name} cannot be made`);
  return fd;
}

function carry(from: number, to: number): void {
  const buffer = Buffer.alloc(LONGEST_PACKET_BYTES);
  read(from, buffer, 0, buffer.length, null, (error, length) => {
    if (error) throw error;
    const packet = Buffer.from(buffer.subarray(0, length));
    if (Math.random() >= link.loss) setTimeout(() => writeSync(to, packet), link.delayMs);
    carry(from, to);
  });
}

function run(command: string): void {
  const { exitCode, stderr } = Bun.spawnSync(command.split(" "));
  if (exitCode !== 0) throw new Error(`${command}: ${stderr}`);
}
