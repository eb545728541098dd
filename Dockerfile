# The control plane as an image, for `controlPlane.image` of the stack. Without it the stack runs the same program out of a ConfigMap.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /src
COPY . .
RUN npm ci

FROM node:24.21.0-bookworm-slim
COPY --from=build /src/dist/control-plane/main.cjs /app/control-plane/main.cjs
USER 10001:10001
ENV NODE_ENV=production
EXPOSE 8080
CMD ["node", "/app/control-plane/main.cjs"]
