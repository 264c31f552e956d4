# Parley's executable, alone on a small Debian. Its own livekit-server listens on loopback, so run
#   docker run --network host -v parley:/data -e OPENAI_API_KEY parley
# or give it a LiveKit of yours (LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET), a port and
# HOST=0.0.0.0 with AUTH_PASSWORD.

FROM oven/bun:1.4.5-slim AS bun

FROM golang:1.26-bookworm AS build
COPY --from=bun /usr/local/bin/bun /usr/local/bin/bun
WORKDIR /parley
COPY package.json bun.lock bunfig.toml ./
COPY scripts/empty-package scripts/empty-package
RUN bun install --frozen-lockfile
COPY . .
RUN bun scripts/build.ts --variant=full && install -d -o 1000 -g 1000 /data

FROM debian:bookworm-slim
# For LiveKit and providers with TLS; the base has none.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /parley/dist/parley /usr/local/bin/parley
COPY --from=build --chown=1000:1000 /data /data
USER 1000:1000
WORKDIR /data
# The cache too: what is unpacked has to be on a disk that allows to run it, and outlives an update.
ENV DATA_DIR=/data \
    PARLEY_CACHE_DIR=/data/cache \
    LOG_FORMAT=json
VOLUME /data
EXPOSE 3000
# The executable is a Bun, which is all that there is to ask with.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["env", "BUN_BE_BUN=1", "parley", "-e", \
    "process.exit((await fetch(`http://127.0.0.1:${Bun.env.PORT ?? 3000}/health`)).ok ? 0 : 1)"]
ENTRYPOINT ["parley"]
CMD ["serve"]
