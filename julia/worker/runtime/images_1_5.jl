# Package images that were loaded: Julia has none before 1.9.

loaded_package_images() = Any[]
