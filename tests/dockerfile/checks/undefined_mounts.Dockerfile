FROM scratch
ARG A=/x
RUN --mount=type=cache,target=$A --mount=type=cache,target=/$MISSING1 --mount=type=secret,id=$MISSING2,required=false true
