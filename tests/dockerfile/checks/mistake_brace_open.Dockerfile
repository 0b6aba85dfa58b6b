FROM scratch
USER ${A:-b
