# The control plane as an image of its own, for `controlPlane.image` of the stack. docs/reference/stack.md says how to build and use it.
# The image below is that of components/images.ts; a mirror's goes into the argument.
ARG NODE_IMAGE=docker.io/library/node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY . .
RUN ["node", "bin/setup.mjs", "setup"]

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
# etcd3 reads its protocol from the folder beside the program's.
COPY --from=build /build/dist/proto /app/proto
COPY --from=build /build/dist/control-plane/main.cjs /app/control-plane/main.cjs
# Requests are explained by the module that the proxies run.
COPY --from=build /build/dist/filter/plugin.wasm /app/filter/plugin.wasm
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["node", "/app/control-plane/main.cjs"]
