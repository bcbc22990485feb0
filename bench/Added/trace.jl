precompile(Tuple{typeof(Added.steps), Int64})
