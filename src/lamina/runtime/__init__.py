"""Running containers: OCI bundles, runtime programs, cgroups, and the monitor beside each container."""
