FROM scratch
RUN [1, 2]
