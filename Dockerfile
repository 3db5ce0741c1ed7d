# One image for every service, the one-shots, the simulators and the songswap command.
# What runs is named by the container's command: deploy/service.ts loader, db/migrate.ts, …

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No install script is needed by what runs in production; types, source maps and texts are a third of the bytes.
RUN npm ci --omit=dev --ignore-scripts --loglevel=error \
 && rm -rf /root/.npm \
 && find node_modules -type f \
      \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' -o -name '*.md' -o -name '*.markdown' \) -delete

FROM node:24-bookworm-slim AS sources
WORKDIR /app
COPY package.json ./
COPY schemas ./schemas
COPY db ./db
COPY lib ./lib
COPY services ./services
COPY simulators ./simulators
COPY operations ./operations
COPY cli ./cli
COPY deploy ./deploy
# A clone may be its owner's alone to read; the image is read by another user.
RUN chmod -R a+rX .

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="songswap-stream" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.description="Collects the Spotify listening history of many people as a stream." \
      org.opencontainers.image.licenses="UNLICENSED"
ENV NODE_ENV=production HTTP_HOST=0.0.0.0 HTTP_PORT=8080 MALLOC_ARENA_MAX=1
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=sources /app ./
# Volumes take their owner from here.
RUN mkdir /spool && chown node:node /spool
# Compiled here once: without its settings a service ends at once, and leaves its modules in the cache.
ENV NODE_COMPILE_CACHE=/app/compile-cache
RUN for service in poller archiver loader enricher alerter; \
    do node --max-semi-space-size=8 --initial-old-space-size=32 --heap-growing-percent=150 --expose-gc deploy/service.ts $service > /dev/null; done; \
    test -d $NODE_COMPILE_CACHE && chmod -R a+rX $NODE_COMPILE_CACHE
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=6 CMD ["node", "deploy/healthcheck.mjs"]
# Exec form: no shell between the container's signals and the process. The flags: services/node-flags.ts says why.
ENTRYPOINT ["node", "--max-semi-space-size=8", "--initial-old-space-size=32", "--heap-growing-percent=150", "--expose-gc"]
CMD ["deploy/service.ts"]
