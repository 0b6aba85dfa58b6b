FROM scratch AS Upper
CMD x
USER ${A:?missing}
CMD y
