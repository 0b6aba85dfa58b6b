FROM scratch
ARG A=
USER ${A:?}
