FROM scratch
RUN --security=insecur true
