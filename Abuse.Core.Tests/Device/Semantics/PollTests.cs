using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Section 3: poll.</summary>
[TestFixture]
public sealed class PollTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Test]
    [SemanticsRow(Row.Poll)]
    public void Poll_is_ready_while_anything_is_pending_delivered_or_not()
    {
        using RawRig rig = RawRig.Configured();
        Assert.That(rig.Control.Poll(), Is.False);
        rig.Read();
        Assert.That(rig.Control.Poll(), Is.True);
        AbuseTransferHeader header = rig.Get();
        Assert.That(rig.Control.Poll(), Is.True, "level-triggered: what was delivered is still pending");
        rig.Put(header);
        Assert.That(rig.Control.Poll(), Is.False);
    }

    [Test]
    [SemanticsRow(Row.Poll)]
    public void Poll_s_mask_is_POLLMSG_alone() => Assert.That(AbuseIoctl.PollMessage, Is.EqualTo(0x400));

    [Test]
    [SemanticsRow(Row.Poll)]
    public void Poll_is_not_ready_after_a_reset_or_a_device_failure()
    {
        using RawRig rig = RawRig.Configured();
        rig.Read();
        rig.Put(default, AbuseAnswer.DeviceFailure);
        Assert.That(rig.Control.Poll(), Is.False);
        rig.Read();
        rig.Control.Reset();
        Assert.That(rig.Control.Poll(), Is.False);
    }

    [Test]
    [SemanticsRow(Row.Poll)]
    public async Task One_bio_wakes_every_poller()
    {
        using RawRig rig = RawRig.Configured();
        Task<bool>[] waits = [.. Enumerable.Range(0, 3).Select(_ => rig.Control.WaitAsync().AsTask())];
        rig.Read();
        Assert.That(await Task.WhenAll(waits).WaitAsync(Patience), Is.All.True);
    }

    [Test]
    [SemanticsRow(Row.Poll)]
    public async Task A_poller_waits_through_a_reset_and_sees_the_next_configuration_s_bio()
    {
        using RawRig rig = RawRig.Configured();
        Task<bool> wait = rig.Control.WaitAsync().AsTask();
        rig.Control.Reset();
        rig.Control.SetStatus(RawRig.Info());
        Assert.That(wait.IsCompleted, Is.False);
        rig.Read();
        Assert.That(await wait.WaitAsync(Patience), Is.True);
    }

    [Test]
    [SemanticsRow(Row.Poll)]
    public async Task A_poller_is_told_that_the_device_is_gone()
    {
        using RawRig rig = RawRig.Configured();
        AbuseControl control = rig.Control;
        Task<bool> wait = control.WaitAsync().AsTask();
        rig.Module.Dispose();
        Assert.That(await wait.WaitAsync(Patience), Is.False);
        Assert.That(control.Poll(), Is.False);
    }

    [Test]
    [SemanticsRow(Row.Poll)]
    public async Task A_cancelled_poller_leaves_others_waiting()
    {
        using RawRig rig = RawRig.Configured();
        using var cancellation = new CancellationTokenSource();
        Task<bool> cancelled = rig.Control.WaitAsync(cancellation.Token).AsTask();
        Task<bool> other = rig.Control.WaitAsync().AsTask();
        await cancellation.CancelAsync();
        Assert.That(async () => await cancelled.WaitAsync(Patience), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(other.IsCompleted, Is.False);
        rig.Read();
        Assert.That(await other.WaitAsync(Patience), Is.True);
    }
}
