FROM busybox AS a
CMD x
ENV P=$PATH:$HOME
