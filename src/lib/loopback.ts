const IPV4_LOOPBACK = /^127(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$/;

/** Whether only this machine can reach a host: a loopback address, `localhost` or a name under it. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, "").toLowerCase();
  if (IPV4_LOOPBACK.test(name)) return true;
  return name === "::1" || name === "localhost" || name.endsWith(".localhost");
}
