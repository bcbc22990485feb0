module Fails

__precompile__(false)
error("this package\nalways fails")

end
