namespace Abuse.Core.Tests;

/// <summary>Traces as the kernel's documentation writes them: "Wa" submits a write, "Cb" answers, flushes and FUA writes have names too.</summary>
internal static class ScriptedTrace
{
    /// <summary>
    /// The trace of words with blanks between: W, F and U with a digit submit a write to that sector, a flush, and an FUA write; D a discard. C with the
    /// same answers it. A number after a colon is the sector where it is another; M with anything is a mark.
    /// </summary>
    internal static BlockTrace Of(string script, int blockSize = 512)
    {
        var log = new TraceLog();
        var marks = new List<TraceMark>();
        var bios = new Dictionary<string, int>();
        long events = 0;
        foreach (string word in script.Split(' '))
        {
            string[] parts = word.Split(':');
            string name = parts[0];
            switch (name[0])
            {
                case 'M':
                    marks.Add(new TraceMark { Event = ++events, Text = name[1..] });
                    break;
                case 'C':
                    log.Complete(bios[name[1..]], events++, TimeSpan.Zero, BioResult.Ok);
                    break;
                default:
                    long offset = blockSize * long.Parse(parts.Length == 2 ? parts[1] : name[1..], System.Globalization.CultureInfo.InvariantCulture);
                    BioOp op = name[0] switch { 'F' => BioOp.Flush, 'D' => BioOp.Discard, _ => BioOp.Write };
                    var head = new BioHead { Op = op, Offset = offset, Length = blockSize, Fua = name[0] == 'U' };
                    byte[] data = op == BioOp.Write ? TestBytes.Of(bios.Count + 1, blockSize) : [];
                    bios.Add(name, log.Add(head, new BioSpans(data), events++, TimeSpan.Zero, null));
                    break;
            }
        }

        return new BlockTrace(new BlockGeometry(64 << 10, blockSize) { AtomicUnit = blockSize }, new PageStore(64 << 10), log, marks, events);
    }
}
