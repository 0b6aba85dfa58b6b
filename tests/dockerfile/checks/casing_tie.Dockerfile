FROM scratch
label a=b
