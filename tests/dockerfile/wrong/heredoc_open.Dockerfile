FROM scratch
COPY <<E /a
body
