arg x=1
from scratch as a
copy b /
label x=y
