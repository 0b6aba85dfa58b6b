# check=skip=JSONArgsRecommended
ARG TAG
FROM busybox:${TAG}
CMD x
