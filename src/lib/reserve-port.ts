/** Takes a free TCP port and turns everybody away from it until it is given up. */
export function reservePort(host: string): Disposable & { port: number } {
  const listener = Bun.listen({
    hostname: host,
    port: 0,
    socket: { open: (socket) => void socket.end(), data() {}, error() {} },
  });
  return { port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
}
