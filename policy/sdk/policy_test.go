package sdk

import "testing"

// A policy answers what it has functions for.
func TestAnswer(t *testing.T) {
	defer func() { statements, uploads, wants = nil, nil, 0 }()
	Statements(Each(func(s *Statement) Answer {
		if s.Package == "A" {
			return Drop("it is A")
		}
		return Replace(s.Source, "Tuple{typeof(Base.f)}").Weighing(2)
	}))
	if set := questions(); set != AboutStatements {
		t.Errorf("it answers the questions %b", set)
	}
	text := string(answer(AboutStatements, []byte(`{"version":1,"statements":[{"statement":"x","package":"A"},{"statement":"y","later":1}]}`)))
	if text != `{"answers":[{"do":"drop","reason":"it is A"},{"do":"replace","statements":["y","Tuple{typeof(Base.f)}"],"weight":2}]}` {
		t.Errorf("about statements it answers %s", text)
	}
	Uploads(func(batch *UploadBatch) []UploadAnswer { return []UploadAnswer{Allow(), Withhold("no")} })
	WantCosts()
	if set := questions(); set != AboutStatements|AboutUploads|WithCosts {
		t.Errorf("it answers the questions %b", set)
	}
	if text := string(answer(AboutUploads, []byte(`{"uploads":[{},{}]}`))); text != `{"answers":[{"do":"allow"},{"do":"withhold","reason":"no"}]}` {
		t.Errorf("about uploads it answers %s", text)
	}
	for _, question := range []Question{AboutStatements, 8} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("the question %d, of nonsense, has an answer", question)
				}
			}()
			answer(question, []byte("nonsense"))
		}()
	}
}
