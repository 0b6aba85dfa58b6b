FROM scratch as a
from scratch AS b
FROM scratch As c
from scratch as d
FROM scratch AS e
From scratch aS f
