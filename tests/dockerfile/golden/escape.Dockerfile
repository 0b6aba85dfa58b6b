# escape=`
FROM windows
COPY testfile.txt c:\
RUN dir `
  c:\
ENV P=c:\dir\$x Q="a`"b"
RUN echo two ``
USER a