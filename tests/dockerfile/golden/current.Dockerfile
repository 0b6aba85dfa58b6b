# syntax=docker/dockerfile:1
# check=skip=JSONArgsRecommended;error=true

FROM --platform=$BUILDPLATFORM golang:1 AS base
RUN --mount=type=cache,target=/root/.cache,sharing=locked --mount=type=bind,from=build,source=/x,target=/y,rw \
    --network=none --security=insecure make
RUN --mount=type=secret,id=token,env=TOKEN --mount=type=tmpfs,target=/t,size=64m --device=vendor.com/gpu=all true
COPY --link --parents --exclude=*.md --exclude=tmp/** --from=base ./a/./b ./c /dest/
ADD --checksum=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 --keep-git-dir=true --unpack=false \
    https://github.com/example/project.git#main /src
HEALTHCHECK --start-interval=250ms CMD true
RUN --mount=type=ssh,id=github,required --mount=type=cache,target=/a,sharing=shared,mode=0750,uid=1,gid=2 \
    --mount=type=cache,target=/b,sharing=private,from=base,source=/c --mount=type=bind,target=/d,ro=false true
