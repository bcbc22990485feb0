module Fails

error("this package\nalways fails")

end
