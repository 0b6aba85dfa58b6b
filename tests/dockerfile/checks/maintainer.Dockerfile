FROM scratch
MAINTAINER ada
maintainer bob
ONBUILD RUN x
