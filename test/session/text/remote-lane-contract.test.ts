/** The contract of lanes on one at the other end of a link. */
import { laneContract } from '../../contracts/lane.ts';
import { startRemote } from './remote-setup.ts';

laneContract('a lane on an endpoint', async (pkg) => {
  const { open } = await startRemote(pkg);
  return () => open();
});
