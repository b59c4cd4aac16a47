# The action's image: one static executable, the certificates it trusts and an empty /tmp. No shell, no git, no libc.
# The runner builds it with a plain `docker build`, so nothing here needs a registry cache or a build argument.

FROM rust:1.95.0-bookworm AS build
WORKDIR /build

# `scratch` has no glibc, so it is linked in. Naming the target, even the machine's own, keeps the flag away from build
# scripts and procedural macros, which cannot be built with it. The linker's warning about `getaddrinfo` is about plug-ins
# of the resolver; hosts files and DNS are part of glibc itself.
ENV CARGO_BUILD_TARGET=host-tuple \
    RUSTFLAGS="-C target-feature=+crt-static"

# The dependencies are most of the work and change seldom: built first, on a stub, they stay in a layer of their own.
# Cargo wants to see every member of the workspace and every target that a manifest names, so the test server's manifest
# and the benchmarks are here too; they are not built.
COPY Cargo.toml Cargo.lock ./
COPY tests/local-github/Cargo.toml tests/local-github/
RUN mkdir -p benches src tests/cluster tests/local-github/src \
 && touch benches/action.rs benches/cluster.rs benches/job.rs tests/cluster/main.rs \
 && echo '//! Stub.' | tee src/lib.rs tests/local-github/src/lib.rs \
 && printf '//! Stub.\nfn main() {}\n' > src/main.rs \
 && cargo build --release --locked --package flux-ephemeral-env

# Cargo goes by modification times: a checkout older than the stub's build would pass for built.
COPY src src
RUN touch src/lib.rs src/main.rs \
 && cargo build --release --locked --package flux-ephemeral-env \
 && install -D target/*/release/flux-ephemeral-env -t /image/ \
 && install -D -m 644 /etc/ssl/certs/ca-certificates.crt -t /image/etc/ssl/certs/ \
 && install -d -m 1777 /image/tmp

FROM scratch
LABEL org.opencontainers.image.title="flux-ephemeral-env" \
      org.opencontainers.image.description="Ephemeral environments with Flux: a comment becomes a commit, Flux does the rest" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
# No USER and no WORKDIR: the runner mounts a workspace that belongs to someone else, and sets the directory itself.
ENTRYPOINT ["/flux-ephemeral-env"]
