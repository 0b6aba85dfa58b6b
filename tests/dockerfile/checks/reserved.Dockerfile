FROM scratch AS scratch
FROM scratch AS context
FROM scratch AS Context
FROM scratch AS contexts
