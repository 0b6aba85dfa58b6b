# check=sip=all
FROM scratch
