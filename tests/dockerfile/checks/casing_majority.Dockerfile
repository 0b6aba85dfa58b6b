from scratch
copy a /
COPY b /
label a=b
