# Parley's executables on a small Debian. The last target, `parley`, is the default; the other one,
# `parley-offline`, also runs local models:
#   docker build -t parley .
#   docker build -t parley-offline --target parley-offline .
# The livekit-server inside listens on loopback only, so run
#   docker run --network host -v parley:/data -e OPENAI_API_KEY parley
# or use your own LiveKit server (LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET), publish a port and
# set HOST=0.0.0.0 and AUTH_PASSWORD. docs/DEPLOY.md has more.

FROM oven/bun:1.4.5-slim AS bun

FROM golang:1.26-bookworm AS source
COPY --from=bun /usr/local/bin/bun /usr/local/bin/bun
WORKDIR /parley
COPY package.json bun.lock bunfig.toml ./
COPY scripts/empty-package scripts/empty-package
RUN bun install --frozen-lockfile
COPY . .
RUN install -d -o 1000 -g 1000 /data /data/models

FROM source AS build
RUN bun scripts/build.ts --variant=full

FROM source AS build-offline
RUN bun scripts/build.ts --variant=offline

FROM debian:bookworm-slim AS runtime
# For TLS to LiveKit and providers; the base image has no certificates.
COPY --from=source /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=source --chown=1000:1000 /data /data
USER 1000:1000
WORKDIR /data
# The cache is in the volume too: its disk must allow execution, and it is kept across updates.
# `container` is what images usually say that they are one by; `parley update` refuses there.
ENV container=oci \
    DATA_DIR=/data \
    PARLEY_CACHE_DIR=/data/cache \
    LOG_FORMAT=json
VOLUME /data
EXPOSE 3000
# With BUN_BE_BUN the executable acts as Bun; the image has no other HTTP client.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["env", "BUN_BE_BUN=1", "parley", "-e", \
    "process.exit((await fetch(`http://127.0.0.1:${Bun.env.PORT ?? 3000}/health`)).ok ? 0 : 1)"]
ENTRYPOINT ["parley"]
CMD ["serve"]

FROM runtime AS parley-offline
COPY --from=build-offline /parley/dist/parley-offline /usr/local/bin/parley

FROM runtime AS parley
COPY --from=build /parley/dist/parley /usr/local/bin/parley
