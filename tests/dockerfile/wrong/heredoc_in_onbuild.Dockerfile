FROM scratch
ONBUILD COPY <<E /x
body
