using System.Runtime.InteropServices;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>How a trace's bios and their bytes are kept.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class TraceLogTests
{
    /// <summary>An array for each write would call the collector every few dozen of them.</summary>
    [TestCase(512)]
    [TestCase(4096)]
    [TestCase(16384)]
    public void Writes_lie_together(int length)
    {
        const int Count = 12_000;
        var log = new TraceLog();
        byte[] bytes = TestBytes.Of(1, length);
        var arrays = new HashSet<byte[]>(ReferenceEqualityComparer.Instance);
        for (int i = 0; i < Count; i++)
        {
            log.Add(Write(length), new BioSpans(bytes), i, TimeSpan.Zero, null);
            Assert.That(MemoryMarshal.TryGetArray(log.Get(i).Data, out ArraySegment<byte> segment));
            arrays.Add(segment.Array!);
        }

        Assert.That(arrays, Has.Count.LessThan(Count / 10));
    }

    /// <summary>Adds bios of all lengths and takes some of the last ones back, against a list.</summary>
    [Test]
    public void What_is_taken_back_leaves_the_rest_as_it_was([Range(1, 20)] int seed)
    {
        var random = new Random(seed);
        var log = new TraceLog();
        var expected = new List<(byte[]? Data, string? CallSite, bool IsVoid)>();
        for (int step = 0; step < 3000; step++)
        {
            if (expected.Count != 0 && random.Next(3) == 0)
            {
                Assert.That(log.TryRemoveLast(expected.Count - 1));
                expected.RemoveAt(expected.Count - 1);
                continue;
            }

            byte[]? data = random.Next(4) == 0 ? null : TestBytes.Of(step, 512 << random.Next(random.Next(1, 9)));
            string? callSite = random.Next(2) == 0 ? null : $"site {random.Next(9)}";
            Assert.That(log.Add(Write(data?.Length ?? 0), new BioSpans(data), step, TimeSpan.Zero, callSite), Is.EqualTo(expected.Count));
            expected.Add((data, callSite, false));
            if (expected.Count > 1)
            {
                Assert.That(log.TryRemoveLast(expected.Count - 2), Is.False);
            }

            if (random.Next(50) == 0)
            {
                int at = random.Next(expected.Count);
                log.Void(at, step, TimeSpan.Zero);
                expected[at] = (null, null, true);
            }
        }

        Assert.That(log.Count, Is.EqualTo(expected.Count));
        for (int i = 0; i < expected.Count; i++)
        {
            TracedBio bio = log.Get(i);
            TestBytes.AssertSame(bio.Data.ToArray(), expected[i].Data ?? [], $"bio {i}");
            Assert.That(bio.CallSite, Is.EqualTo(expected[i].CallSite));
            Assert.That(bio.Op, Is.EqualTo(expected[i].IsVoid ? BioOp.Read : BioOp.Write));
        }
    }

    private static BioHead Write(int length) => new() { Op = BioOp.Write, Length = length };
}
