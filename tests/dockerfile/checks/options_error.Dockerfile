# check=error=true
FROM scratch AS Upper
