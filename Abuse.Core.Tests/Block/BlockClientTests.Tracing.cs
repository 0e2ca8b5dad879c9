using System.Diagnostics;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Somebody follows the operations.</content>
public sealed partial class BlockClientTests
{
    [Test]
    public async Task Traced_it_does_the_same_and_says_where_on_the_device([Values] ClientStyle style)
    {
        var stopped = new List<(string Name, object? Offset, object? Length, object? Error)>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name == "Abuse.Core",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                lock (stopped)
                {
                    stopped.Add((activity.OperationName, activity.GetTagItem("abuse.bio.offset"), activity.GetTagItem("abuse.bio.length"), activity.GetTagItem("error.type")));
                }
            },
        };
        BlockClient inline = Inline();
        var client = new ClientCaller(new BlockClient(inline.Device, new BlockPartition(1, MiB, 2 * MiB)), style);
        ActivitySource.AddActivityListener(listener);
        byte[] bytes = TestBytes.Of(seed: 1, 4096);
        Assert.That(await client.Write(512, bytes).InTime(), Is.EqualTo(BioResult.Ok));
        byte[] back = new byte[4096];
        Assert.That(await client.Read(512, back).InTime(), Is.EqualTo(BioResult.Ok));
        TestBytes.AssertSame(back, bytes);
        await inline.Device.DisposeAsync();
        Assert.That(await client.Discard(0, 512).InTime(), Is.EqualTo(BioResult.Offline));
        Assert.That(stopped, Is.EqualTo(new (string, object?, object?, object?)[]
        {
            ("write", MiB + 512L, 4096L, null), ("read", MiB + 512L, 4096L, null), ("discard", (long)MiB, 512L, "offline"),
        }));
    }
}
