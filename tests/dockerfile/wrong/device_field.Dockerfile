FROM scratch
RUN --device=vendor.com/gpu=all,fast=1 true
