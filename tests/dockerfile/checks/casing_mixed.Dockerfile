From scratch
LABEL a=b
lAbEl c=d
LABEL e=f
