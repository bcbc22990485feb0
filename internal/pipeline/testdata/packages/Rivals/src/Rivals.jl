# Two functions that C knows by the same name.
module Rivals

module Left
Base.@ccallable rivals_side()::Cint = Cint(1)
end

module Right
Base.@ccallable rivals_side()::Cint = Cint(2)
end

end
