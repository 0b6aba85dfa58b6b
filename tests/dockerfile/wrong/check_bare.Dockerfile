# check=all
FROM scratch
