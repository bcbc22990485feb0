module Exits

exit(3)

end
