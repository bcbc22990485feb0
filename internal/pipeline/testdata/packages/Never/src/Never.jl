# A package that says of itself that it cannot be in a cache.
module Never

__precompile__(false)

never() = 0

end
