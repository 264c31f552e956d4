/** What the embedded server needs to know; made anew at every start of it. */
export interface ServerSettings {
  host: string;
  /** Port of the signalling (HTTP and WebSocket) side. */
  port: number;
  /** The one UDP port that carries the media of every participant. */
  udpPort: number;
  apiKey: string;
  apiSecret: string;
  logLevel: "debug" | "info" | "warn";
}

/**
 * The configuration of an embedded livekit-server. It is YAML to the server, and JSON is YAML.
 *
 * Everything stays on `host`, a loopback address. ICE over TCP is off because livekit-server binds
 * that port on every interface whatever `bind_addresses` says; on loopback UDP always gets through.
 */
export function serverConfig(settings: ServerSettings): string {
  const { host, port, udpPort, apiKey, apiSecret, logLevel } = settings;
  return JSON.stringify({
    port,
    bind_addresses: [host],
    keys: { [apiKey]: apiSecret },
    rtc: {
      udp_port: udpPort,
      tcp_port: 0,
      allow_tcp_fallback: false,
      // A fixed node address also keeps the server from asking STUN servers for one.
      node_ip: host,
      use_external_ip: false,
      // What participants are told to use. LiveKit's default are Google's: everybody who talks would
      // be known to them, and each connection would hold threads that look up their names. On
      // loopback nobody needs any, but an empty list means that default; this one never answers.
      stun_servers: [`${host}:9`],
      enable_loopback_candidate: true,
      // Without it the UDP port would be open on every interface.
      ips: { includes: [`${host}/32`] },
    },
    room: { auto_create: true },
    limit: {
      // LiveKit counts UTF-8 bytes and Parley characters: 128 of them may be 512 bytes.
      max_room_name_length: 512,
      max_participant_identity_length: 512,
      max_participant_name_length: 512,
    },
    logging: { json: true, level: logLevel },
  });
}
