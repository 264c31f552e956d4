# Parley with its own livekit-server. The embedded server listens on loopback, so run it with
#   docker run --network host -v parley:/data -e OPENAI_API_KEY parley
# or give it a LiveKit of yours (LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET), a port and
# HOST=0.0.0.0 with AUTH_PASSWORD.

FROM golang:1.26-bookworm AS livekit
RUN CGO_ENABLED=0 go install -trimpath -ldflags="-s -w" \
    github.com/livekit/livekit-server/cmd/server@v1.13.5

FROM oven/bun:1.4.5-slim AS build
WORKDIR /parley
COPY package.json bun.lock bunfig.toml ./
COPY scripts/empty-package scripts/empty-package
RUN bun install --frozen-lockfile --production
COPY . .
RUN bun scripts/build-client.ts

FROM oven/bun:1.4.5-slim
WORKDIR /parley
COPY --from=livekit /go/bin/server /usr/local/bin/livekit-server
COPY --from=build --chown=root:root /parley ./
RUN mkdir /data && chown bun:bun /data
USER bun
ENV DATA_DIR=/data \
    LIVEKIT_SERVER_BIN=/usr/local/bin/livekit-server \
    LOG_FORMAT=json
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD \
    ["bun", "-e", "process.exit((await fetch(`http://127.0.0.1:${Bun.env.PORT ?? 3000}/health`)).ok ? 0 : 1)"]
ENTRYPOINT ["bun", "src/main.ts"]
CMD ["serve"]
