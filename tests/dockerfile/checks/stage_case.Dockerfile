FROM scratch AS Upper
FROM scratch AS lower
FROM scratch AS mIXED
FROM upper AS last
