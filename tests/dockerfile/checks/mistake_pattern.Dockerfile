FROM scratch
ARG A=x
USER ${A#\x}
